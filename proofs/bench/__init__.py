"""What the product costs, as ratios within one run: `flightdeck bench`."""
