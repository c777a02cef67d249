"""HTTP: routes, answers, and the one place that turns errors into them."""
