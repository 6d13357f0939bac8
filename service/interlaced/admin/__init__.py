"""The admin listener: metrics, health over HTTP, and chaos in `dev`."""
