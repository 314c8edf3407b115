"""A dream as data: recipes, the images made from them, galleries, and runs of many frames."""
