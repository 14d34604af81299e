"""Pages and charts as one HTML file, everything escaped."""
