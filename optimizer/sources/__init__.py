"""What a person brings in: models, data sets, and the checks that both pass before anything loads them."""
