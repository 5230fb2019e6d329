//! The one promise "this model is here": state of each model, single flight, waiting, progress.
