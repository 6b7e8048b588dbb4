"""TravelBlog: blogs of many cities, with posts about places that readers book."""
