"""`dfd train`: recipes, the step, the loop around it, its log, and folds that judge a recipe."""
