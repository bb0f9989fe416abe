"""GitOps on the local platform, for people: push a change and see it live, ask how things are, take a change back."""
