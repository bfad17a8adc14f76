// For adapters on which loads cost most, software ones above all: an invocation makes four pairs of columns, a quarter of
// all apart, of one row, and four neighbours, who make the same row, load its inputs for one another. Elements of a column
// are summed one after another, those of the norm's squares by four, of which each neighbour has a quarter.
// `matvec_quad_rows.wgsl` sums alike for several rows.

override workgroup_size: u32 = 16;

// The sum of a column and sixteen more elements of it.
fn add(at: u32, x: mat4x4f, start: f32) -> f32 {
  let w = weights(at);
  var sum = start;
  sum = fma(w[0][0], x[0][0], sum);
  sum = fma(w[0][1], x[0][1], sum);
  sum = fma(w[0][2], x[0][2], sum);
  sum = fma(w[0][3], x[0][3], sum);
  sum = fma(w[1][0], x[1][0], sum);
  sum = fma(w[1][1], x[1][1], sum);
  sum = fma(w[1][2], x[1][2], sum);
  sum = fma(w[1][3], x[1][3], sum);
  sum = fma(w[2][0], x[2][0], sum);
  sum = fma(w[2][1], x[2][1], sum);
  sum = fma(w[2][2], x[2][2], sum);
  sum = fma(w[2][3], x[2][3], sum);
  sum = fma(w[3][0], x[3][0], sum);
  sum = fma(w[3][1], x[3][1], sum);
  sum = fma(w[3][2], x[3][2], sum);
  sum = fma(w[3][3], x[3][3], sum);
  return sum;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(global_invocation_id) global: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (row_pairs() + 3u) / 4u;
  // A row's share is filled up to a multiple of four, so that neighbours share a row; those beyond the edge work along.
  let filled = (quarter + 3u) / 4u * 4u;
  let row = index / filled;
  let own = index % filled;
  let pairs = vec4u(own) + vec4u(0u, 1u, 2u, 3u) * quarter;
  let lane = 4u * (invocation % 4u);
  let input_start = args.input_offset + min(row, args.rows - 1u) * args.inner + lane;
  let start0 = column_start(pairs.x);
  let start1 = column_start(pairs.y);
  let start2 = column_start(pairs.z);
  let start3 = column_start(pairs.w);
  let start4 = column_start(pairs.x + row_pairs());
  let start5 = column_start(pairs.y + row_pairs());
  let start6 = column_start(pairs.z + row_pairs());
  let start7 = column_start(pairs.w + row_pairs());
  var sum0 = 0.0;
  var sum1 = 0.0;
  var sum2 = 0.0;
  var sum3 = 0.0;
  var sum4 = 0.0;
  var sum5 = 0.0;
  var sum6 = 0.0;
  var sum7 = 0.0;
  var squares = vec4f();
  for (var step = 0u; step < args.inner; step += 16u) {
    var four = input[(input_start + step) / 4u];
    if (args.has_norm != 0u) {
      squares = fma(four, four, squares);
      four *= gains(step + lane);
    }
    let x = mat4x4f(
      quadBroadcast(four, 0u),
      quadBroadcast(four, 1u),
      quadBroadcast(four, 2u),
      quadBroadcast(four, 3u),
    );
    sum0 = add(start0 + step, x, sum0);
    sum1 = add(start1 + step, x, sum1);
    sum2 = add(start2 + step, x, sum2);
    sum3 = add(start3 + step, x, sum3);
    sum4 = add(start4 + step, x, sum4);
    sum5 = add(start5 + step, x, sum5);
    sum6 = add(start6 + step, x, sum6);
    sum7 = add(start7 + step, x, sum7);
  }
  // Each neighbour has squared a quarter of the row.
  var square_sum = total(squares);
  square_sum += quadSwapX(square_sum);
  square_sum += quadSwapY(square_sum);
  if (row >= args.rows || own >= quarter) {
    return;
  }
  let first = vec4f(sum0, sum1, sum2, sum3);
  let second = vec4f(sum4, sum5, sum6, sum7);
  for (var step = 0u; step < 4u; step++) {
    if (pairs[step] < row_pairs()) {
      store_pair(row, pairs[step], first[step], second[step], square_sum);
    }
  }
}
