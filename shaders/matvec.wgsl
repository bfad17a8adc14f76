// An invocation makes a pair of columns of one row. Each sum is four sums, every fourth element in one, and then those four.

override workgroup_size: u32 = 64;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let row = index / row_pairs();
  if (row >= args.rows) {
    return;
  }
  let first = index % row_pairs();
  let input_start = args.input_offset + row * args.inner;
  let first_start = column_start(first);
  let second_start = column_start(first + row_pairs());
  var first_sums = vec4f();
  var second_sums = vec4f();
  var squares = vec4f();
  var step = 0u;
  for (; step + 4u <= args.inner; step += 4u) {
    var four = inputs(input_start + step);
    if (args.has_norm != 0u) {
      squares = fma(four, four, squares);
      four *= gains(step);
    }
    first_sums = fma(weights(first_start + step), four, first_sums);
    second_sums = fma(weights(second_start + step), four, second_sums);
  }
  for (; step < args.inner; step++) {
    var one = input_at(input_start + step);
    if (args.has_norm != 0u) {
      squares[step % 4u] = fma(one, one, squares[step % 4u]);
      one *= gain[args.gain_offset + step];
    }
    first_sums[step % 4u] = fma(weight_at(first_start + step), one, first_sums[step % 4u]);
    second_sums[step % 4u] = fma(weight_at(second_start + step), one, second_sums[step % 4u]);
  }
  store_pair(row, first, total(first_sums), total(second_sums), total(squares));
}
