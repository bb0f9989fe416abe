"""The page that readers and writers see: rendered here, made livelier by scripts where there are any."""
