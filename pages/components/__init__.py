"""What the pages share: widgets that draw, and plain functions that arrange stored records for drawing."""
