// For adapters on which loads cost most, software ones above all: an invocation makes four pairs of columns, a quarter of
// all apart, of one row, and four neighbours, who make the same row, load its inputs for one another. Sums are as in
// `matvec.wgsl`, save those of the norm's squares, of which each neighbour has a quarter.

override workgroup_size: u32 = 16;

// Sums of a column plus sixteen elements of it.
fn add(at: u32, x: mat4x4f, sums: vec4f) -> vec4f {
  let w = weights(at);
  return fma(w[3], x[3], fma(w[2], x[2], fma(w[1], x[1], fma(w[0], x[0], sums))));
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
  var sums0 = vec4f();
  var sums1 = vec4f();
  var sums2 = vec4f();
  var sums3 = vec4f();
  var sums4 = vec4f();
  var sums5 = vec4f();
  var sums6 = vec4f();
  var sums7 = vec4f();
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
    sums0 = add(start0 + step, x, sums0);
    sums1 = add(start1 + step, x, sums1);
    sums2 = add(start2 + step, x, sums2);
    sums3 = add(start3 + step, x, sums3);
    sums4 = add(start4 + step, x, sums4);
    sums5 = add(start5 + step, x, sums5);
    sums6 = add(start6 + step, x, sums6);
    sums7 = add(start7 + step, x, sums7);
  }
  // Each neighbour has squared a quarter of the row.
  var square_sum = total(squares);
  square_sum += quadSwapX(square_sum);
  square_sum += quadSwapY(square_sum);
  if (row >= args.rows || own >= quarter) {
    return;
  }
  let first = vec4f(total(sums0), total(sums1), total(sums2), total(sums3));
  let second = vec4f(total(sums4), total(sums5), total(sums6), total(sums7));
  for (var step = 0u; step < 4u; step++) {
    if (pairs[step] < row_pairs()) {
      store_pair(row, pairs[step], first[step], second[step], square_sum);
    }
  }
}
