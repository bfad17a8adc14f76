// `matvec_quad.wgsl` for several rows: an invocation makes four pairs of columns, a quarter of all apart, of one, two or four
// blocks of four rows, so that a weight is loaded once for all of them. Four neighbours, who make the same rows, load their
// inputs for one another. Every sum is made as there, so a row has the same bits from either.

override workgroup_size: u32 = 16;
// 1, 2 or 4.
override blocks: u32 = 1;

// Sixteen elements of four rows: of each the four rows' values.
struct Inputs {
  steps0: mat4x4f,
  steps1: mat4x4f,
  steps2: mat4x4f,
  steps3: mat4x4f,
}

// What a block of four rows has summed: of each pair of columns, and of the squares of a quarter of the elements.
struct Block {
  first: mat4x4f,
  second: mat4x4f,
  squares: mat4x4f,
}

fn add(w: mat4x4f, x: Inputs, start: vec4f) -> vec4f {
  var sum = start;
  sum = fma(vec4f(w[0][0]), x.steps0[0], sum);
  sum = fma(vec4f(w[0][1]), x.steps0[1], sum);
  sum = fma(vec4f(w[0][2]), x.steps0[2], sum);
  sum = fma(vec4f(w[0][3]), x.steps0[3], sum);
  sum = fma(vec4f(w[1][0]), x.steps1[0], sum);
  sum = fma(vec4f(w[1][1]), x.steps1[1], sum);
  sum = fma(vec4f(w[1][2]), x.steps1[2], sum);
  sum = fma(vec4f(w[1][3]), x.steps1[3], sum);
  sum = fma(vec4f(w[2][0]), x.steps2[0], sum);
  sum = fma(vec4f(w[2][1]), x.steps2[1], sum);
  sum = fma(vec4f(w[2][2]), x.steps2[2], sum);
  sum = fma(vec4f(w[2][3]), x.steps2[3], sum);
  sum = fma(vec4f(w[3][0]), x.steps3[0], sum);
  sum = fma(vec4f(w[3][1]), x.steps3[1], sum);
  sum = fma(vec4f(w[3][2]), x.steps3[2], sum);
  sum = fma(vec4f(w[3][3]), x.steps3[3], sum);
  return sum;
}

// Four elements of four rows from the same place of each; of each element the four rows' values.
fn own_inputs(at: vec4u) -> mat4x4f {
  return transpose(mat4x4f(input[at.x / 4u], input[at.y / 4u], input[at.z / 4u], input[at.w / 4u]));
}

fn add_squares(own: mat4x4f, squares: mat4x4f) -> mat4x4f {
  return mat4x4f(
    fma(own[0], own[0], squares[0]),
    fma(own[1], own[1], squares[1]),
    fma(own[2], own[2], squares[2]),
    fma(own[3], own[3], squares[3]),
  );
}

fn scaled(own: mat4x4f, by: vec4f) -> mat4x4f {
  return mat4x4f(own[0] * by.x, own[1] * by.y, own[2] * by.z, own[3] * by.w);
}

fn shared_by_quad(own: mat4x4f) -> Inputs {
  return Inputs(
    mat4x4f(quadBroadcast(own[0], 0u), quadBroadcast(own[1], 0u), quadBroadcast(own[2], 0u), quadBroadcast(own[3], 0u)),
    mat4x4f(quadBroadcast(own[0], 1u), quadBroadcast(own[1], 1u), quadBroadcast(own[2], 1u), quadBroadcast(own[3], 1u)),
    mat4x4f(quadBroadcast(own[0], 2u), quadBroadcast(own[1], 2u), quadBroadcast(own[2], 2u), quadBroadcast(own[3], 2u)),
    mat4x4f(quadBroadcast(own[0], 3u), quadBroadcast(own[1], 3u), quadBroadcast(own[2], 3u), quadBroadcast(own[3], 3u)),
  );
}

fn over_quad(squares: mat4x4f) -> vec4f {
  var sum = (squares[0] + squares[1]) + (squares[2] + squares[3]);
  sum += quadSwapX(sum);
  sum += quadSwapY(sum);
  return sum;
}

fn store_block(row: u32, pairs: vec4u, block: Block, square_sums: vec4f) {
  for (var each = 0u; each < 4u; each++) {
    if (row + each >= args.rows) {
      return;
    }
    for (var step = 0u; step < 4u; step++) {
      if (pairs[step] < row_pairs()) {
        store_pair(row + each, pairs[step], block.first[step][each], block.second[step][each], square_sums[each]);
      }
    }
  }
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(global_invocation_id) global: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (row_pairs() + 3u) / 4u;
  // Filled up to a multiple of four, so that neighbours share rows; those beyond the edge work along.
  let filled = (quarter + 3u) / 4u * 4u;
  let row = index / filled * 4u * blocks;
  let own = index % filled;
  let pairs = vec4u(own) + vec4u(0u, 1u, 2u, 3u) * quarter;
  let lane = 4u * (invocation % 4u);
  let starts_a = vec4u(column_start(pairs.x), column_start(pairs.y), column_start(pairs.z), column_start(pairs.w));
  let seconds = pairs + row_pairs();
  let starts_b = vec4u(
    column_start(seconds.x),
    column_start(seconds.y),
    column_start(seconds.z),
    column_start(seconds.w),
  );
  // Rows beyond the last repeat it.
  let last = vec4u(args.rows - 1u);
  let four = vec4u(row) + vec4u(0u, 1u, 2u, 3u);
  let input_start = args.input_offset + lane;
  let rows_a = input_start + min(four, last) * args.inner;
  let rows_b = input_start + min(four + 4u, last) * args.inner;
  let rows_c = input_start + min(four + 8u, last) * args.inner;
  let rows_d = input_start + min(four + 12u, last) * args.inner;
  var a = Block();
  var b = Block();
  var c = Block();
  var d = Block();
  for (var step = 0u; step < args.inner; step += 16u) {
    var own_a = own_inputs(rows_a + step);
    var own_b = mat4x4f();
    var own_c = mat4x4f();
    var own_d = mat4x4f();
    if (blocks > 1u) {
      own_b = own_inputs(rows_b + step);
    }
    if (blocks > 2u) {
      own_c = own_inputs(rows_c + step);
      own_d = own_inputs(rows_d + step);
    }
    if (args.has_norm != 0u) {
      let gain_here = gains(step + lane);
      a.squares = add_squares(own_a, a.squares);
      own_a = scaled(own_a, gain_here);
      if (blocks > 1u) {
        b.squares = add_squares(own_b, b.squares);
        own_b = scaled(own_b, gain_here);
      }
      if (blocks > 2u) {
        c.squares = add_squares(own_c, c.squares);
        d.squares = add_squares(own_d, d.squares);
        own_c = scaled(own_c, gain_here);
        own_d = scaled(own_d, gain_here);
      }
    }
    let xa = shared_by_quad(own_a);
    let xb = shared_by_quad(own_b);
    let xc = shared_by_quad(own_c);
    let xd = shared_by_quad(own_d);
    let w0 = weights(starts_a[0] + step);
    a.first[0] = add(w0, xa, a.first[0]);
    if (blocks > 1u) {
      b.first[0] = add(w0, xb, b.first[0]);
    }
    if (blocks > 2u) {
      c.first[0] = add(w0, xc, c.first[0]);
      d.first[0] = add(w0, xd, d.first[0]);
    }
    let w1 = weights(starts_a[1] + step);
    a.first[1] = add(w1, xa, a.first[1]);
    if (blocks > 1u) {
      b.first[1] = add(w1, xb, b.first[1]);
    }
    if (blocks > 2u) {
      c.first[1] = add(w1, xc, c.first[1]);
      d.first[1] = add(w1, xd, d.first[1]);
    }
    let w2 = weights(starts_a[2] + step);
    a.first[2] = add(w2, xa, a.first[2]);
    if (blocks > 1u) {
      b.first[2] = add(w2, xb, b.first[2]);
    }
    if (blocks > 2u) {
      c.first[2] = add(w2, xc, c.first[2]);
      d.first[2] = add(w2, xd, d.first[2]);
    }
    let w3 = weights(starts_a[3] + step);
    a.first[3] = add(w3, xa, a.first[3]);
    if (blocks > 1u) {
      b.first[3] = add(w3, xb, b.first[3]);
    }
    if (blocks > 2u) {
      c.first[3] = add(w3, xc, c.first[3]);
      d.first[3] = add(w3, xd, d.first[3]);
    }
    let w4 = weights(starts_b[0] + step);
    a.second[0] = add(w4, xa, a.second[0]);
    if (blocks > 1u) {
      b.second[0] = add(w4, xb, b.second[0]);
    }
    if (blocks > 2u) {
      c.second[0] = add(w4, xc, c.second[0]);
      d.second[0] = add(w4, xd, d.second[0]);
    }
    let w5 = weights(starts_b[1] + step);
    a.second[1] = add(w5, xa, a.second[1]);
    if (blocks > 1u) {
      b.second[1] = add(w5, xb, b.second[1]);
    }
    if (blocks > 2u) {
      c.second[1] = add(w5, xc, c.second[1]);
      d.second[1] = add(w5, xd, d.second[1]);
    }
    let w6 = weights(starts_b[2] + step);
    a.second[2] = add(w6, xa, a.second[2]);
    if (blocks > 1u) {
      b.second[2] = add(w6, xb, b.second[2]);
    }
    if (blocks > 2u) {
      c.second[2] = add(w6, xc, c.second[2]);
      d.second[2] = add(w6, xd, d.second[2]);
    }
    let w7 = weights(starts_b[3] + step);
    a.second[3] = add(w7, xa, a.second[3]);
    if (blocks > 1u) {
      b.second[3] = add(w7, xb, b.second[3]);
    }
    if (blocks > 2u) {
      c.second[3] = add(w7, xc, c.second[3]);
      d.second[3] = add(w7, xd, d.second[3]);
    }
  }
  let squares_a = over_quad(a.squares);
  let squares_b = over_quad(b.squares);
  let squares_c = over_quad(c.squares);
  let squares_d = over_quad(d.squares);
  if (own >= quarter) {
    return;
  }
  store_block(row, pairs, a, squares_a);
  if (blocks > 1u) {
    store_block(row + 4u, pairs, b, squares_b);
  }
  if (blocks > 2u) {
    store_block(row + 8u, pairs, c, squares_c);
    store_block(row + 12u, pairs, d, squares_d);
  }
}
