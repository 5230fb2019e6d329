//! The disk: layout, fillings, sealing, locks shared with tensorflow_hub.
