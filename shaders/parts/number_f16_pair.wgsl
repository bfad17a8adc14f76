// Numbers are pairs of halves, as GPUs that gain from halves compute two at once. The twin of number_f32.wgsl.

enable f16;

alias Number = vec2<f16>;

fn number_of(x: f32) -> Number {
  return Number(f16(x));
}

fn single_of(x: Number) -> f32 {
  return f32(x.x + x.y);
}
