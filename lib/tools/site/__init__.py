"""The course as a website: `staging` lays out its sources, Sphinx makes pages of them by `conf`."""
