//! Knowledge of the places models come from: handle in, plan out.
