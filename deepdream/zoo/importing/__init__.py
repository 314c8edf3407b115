"""Networks from other frameworks: files of tensors, converted to a model's folder."""
