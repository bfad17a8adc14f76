// Rows whose tensors are read four elements at once: widths and offsets are multiples of four. Its twin is row_ones.wgsl.

alias Element = vec4f;
const element_size = 4u;

fn sum_of(own: Element) -> f32 {
  return (own.x + own.y) + (own.z + own.w);
}

fn largest_of(own: Element) -> f32 {
  return max(max(own.x, own.y), max(own.z, own.w));
}

// The largest bits of a magnitude: above those of infinity for what is no number.
fn magnitude_of(own: Element) -> u32 {
  let bits = bitcast<vec4u>(own) & vec4u(0x7fffffffu);
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}

fn component_of(own: Element, index: u32) -> f32 {
  return own[index];
}

// 1 where a column, counted from this first one, is the wanted one; else 0.
fn one_at(first: u32, wanted: u32) -> Element {
  return select(vec4f(), vec4f(1.0), vec4u(first) + vec4u(0u, 1u, 2u, 3u) == vec4u(wanted));
}
