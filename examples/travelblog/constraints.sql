ALTER TABLE authors ADD PRIMARY KEY (id), ADD UNIQUE (email);
ALTER TABLE places ADD PRIMARY KEY (id),
  ADD CHECK (latitude BETWEEN -90 AND 90), ADD CHECK (longitude BETWEEN -180 AND 180), ADD CHECK (night_cents > 0);
ALTER TABLE posts ADD PRIMARY KEY (id),
  ADD FOREIGN KEY (author_id) REFERENCES authors, ADD FOREIGN KEY (place_id) REFERENCES places,
  ADD CHECK (status IN ('draft', 'published')), ADD CHECK ((status = 'published') = (published_at IS NOT NULL));
ALTER TABLE media ADD PRIMARY KEY (id), ADD UNIQUE (key), ADD FOREIGN KEY (post_id) REFERENCES posts;
ALTER TABLE bookings ADD PRIMARY KEY (id), ADD FOREIGN KEY (place_id) REFERENCES places,
  ADD CHECK (nights BETWEEN 1 AND 30), ADD CHECK (status IN ('held', 'paid', 'cancelled'));
CREATE INDEX ON posts (author_id);
CREATE INDEX ON bookings (place_id, booked_at);
ANALYZE authors, places, posts, media, bookings;
