// 1 GELU (by tanh, written with the logistic function), 2 SiLU, 3 ReLU. Comparisons keep NaN, as max would not.
fn activated(x: f32) -> f32 {
  switch args.activation {
    case 1u: {
      return x / (1.0 + exp(min(-1.5957691216 * (x + 0.044715 * x * x * x), 80.0)));
    }
    case 2u: {
      return x / (1.0 + exp(min(-x, 80.0)));
    }
    case 3u: {
      return select(x, 0.0, x < 0.0);
    }
    default: {
      return x;
    }
  }
}
