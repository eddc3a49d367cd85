"""The images of the services: `make images` builds them and describes what is in them."""
