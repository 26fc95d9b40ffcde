"""One technique a module; they are found by walking this package."""
