"""The demonstration: a made land-cover collection and what is shown with it."""
