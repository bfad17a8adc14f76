// For GPUs, where several invocations make a pair of columns of one row, so that neighbours read neighbouring weights: the
// share of invocation `lane` of `lanes` in the pair's two sums and in that of the row's squares. Every row has one, those
// beyond the last too, as sums may want all invocations of a workgroup.
fn share(row: u32, first: u32, lane: u32, lanes: u32) -> vec3f {
  let input_start = args.input_offset + row * args.inner;
  let first_start = column_start(first);
  let second_start = column_start(first + row_pairs());
  var first_sums = vec4f();
  var second_sums = vec4f();
  var squares = vec4f();
  let inner = select(0u, args.inner, row < args.rows);
  let whole = inner - inner % 4u;
  for (var step = 4u * lane; step < whole; step += 4u * lanes) {
    var four = inputs(input_start + step);
    if (args.has_norm != 0u) {
      squares = fma(four, four, squares);
      four *= gains(step);
    }
    first_sums = fma(weights(first_start + step), four, first_sums);
    second_sums = fma(weights(second_start + step), four, second_sums);
  }
  if (whole + lane < inner) {
    let step = whole + lane;
    var one = input_at(input_start + step);
    if (args.has_norm != 0u) {
      squares.x = fma(one, one, squares.x);
      one *= gain[args.gain_offset + step];
    }
    first_sums.x = fma(weight_at(first_start + step), one, first_sums.x);
    second_sums.x = fma(weight_at(second_start + step), one, second_sums.x);
  }
  return vec3f(total(first_sums), total(second_sums), total(squares));
}
