"""The mathematics: pure functions of tensors. Knows neither gRPC nor processes nor disk."""
