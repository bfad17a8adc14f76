// What every variant of `attention.ts` is told backward to the queries.

struct Arguments {
  query_offset: u32,
  key_offset: u32,
  value_offset: u32,
  output_offset: u32,
  output_gradient_offset: u32,
  log_sum_exp_offset: u32,
  delta_offset: u32,
  gradient_offset: u32,
  sequences: u32,
  tokens: u32,
  heads: u32,
  kv_heads: u32,
  head_size: u32,
  query_stride: u32,
  kv_stride: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
