// Numbers are f32. The twin of number_f16_pair.wgsl.

alias Number = f32;

fn number_of(x: f32) -> Number {
  return x;
}

fn single_of(x: Number) -> f32 {
  return x;
}
