"""The mathematics of quantization: ranges, schemes and rounding; arrays in, arrays out."""
