-- SPDX-License-Identifier: Apache-2.0
-- The key of readings holds all of a reading, so that a series is read from the key alone: readings lie in the order in
-- which they came, those of one datastream each on a page of its own.

ALTER TABLE sensing.observation DROP CONSTRAINT observation_pkey;
ALTER TABLE sensing.observation ADD PRIMARY KEY (datastream, at, issued, value) INCLUDE (flags, received);
