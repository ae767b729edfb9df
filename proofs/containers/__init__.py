"""The images, and the platform that docker/compose.yaml brings up, built and run for real."""
