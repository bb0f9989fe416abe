"""blog-service: posts, categories, comments and drafts, and the page that shows them."""
