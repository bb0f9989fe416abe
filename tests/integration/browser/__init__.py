"""The page as readers and writers meet it: headless Chromium at the edge of the real services."""
