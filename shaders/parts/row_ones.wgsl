// Rows whose tensors are read element by element: any width, at any offset. Its twin row_fours.wgsl reads four at once.

alias Element = f32;
const element_size = 1u;

fn sum_of(own: Element) -> f32 {
  return own;
}

fn largest_of(own: Element) -> f32 {
  return own;
}

// The bits of a magnitude: above those of infinity for what is no number.
fn magnitude_of(own: Element) -> u32 {
  return bitcast<u32>(own) & 0x7fffffffu;
}

fn component_of(own: Element, index: u32) -> f32 {
  return own;
}

// 1 where a column, counted from this first one, is the wanted one; else 0.
fn one_at(first: u32, wanted: u32) -> Element {
  return select(0.0, 1.0, first == wanted);
}
