-- TravelBlog's tables. Constraints and indexes are in constraints.sql: they are added when the rows are there.
CREATE TABLE authors (
  id bigint NOT NULL,
  tenant text NOT NULL,
  name text NOT NULL,
  email text NOT NULL,
  joined_at timestamptz NOT NULL
);

CREATE TABLE places (
  id bigint NOT NULL,
  tenant text NOT NULL,
  name text NOT NULL,
  country char(2) NOT NULL,
  latitude double precision NOT NULL,
  longitude double precision NOT NULL,
  night_cents integer NOT NULL
);

CREATE TABLE posts (
  id bigint NOT NULL,
  tenant text NOT NULL,
  author_id bigint NOT NULL,
  place_id bigint NOT NULL,
  title text NOT NULL,
  body text NOT NULL,
  status text NOT NULL,
  published_at timestamptz
);

CREATE TABLE media (
  id bigint NOT NULL,
  tenant text NOT NULL,
  post_id bigint NOT NULL,
  key text NOT NULL,
  content_type text NOT NULL,
  size_bytes integer NOT NULL
);

CREATE TABLE bookings (
  id bigint NOT NULL,
  tenant text NOT NULL,
  place_id bigint NOT NULL,
  guest text NOT NULL,
  nights integer NOT NULL,
  total_cents integer NOT NULL,
  status text NOT NULL,
  booked_at timestamptz NOT NULL
);
