-- SPDX-License-Identifier: Apache-2.0
-- The road graph (路网): made of the layer base.road, made anew when that has changed. Nothing here is a source of truth.
--
-- Functions of pgRouting are named only in bodies that are read when they are called, so that a database without it
-- takes this file too.

CREATE SCHEMA network;
COMMENT ON SCHEMA network IS 'Road graph, derived from base.road (路网)';
GRANT USAGE ON SCHEMA network TO geocloud_reader, geocloud_writer;

CREATE TABLE network.graph (
    single        boolean PRIMARY KEY DEFAULT true CHECK (single),
    road_version  bigint NOT NULL,
    valid_until   timestamptz NOT NULL,
    digest        text NOT NULL,
    built_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    tolerance_m   float8 NOT NULL,
    roads         int NOT NULL,
    nodes         int NOT NULL,
    edges         int NOT NULL,
    drive_fastest float8 NOT NULL,
    walk_fastest  float8 NOT NULL,
    west          float8,
    south         float8,
    east          float8,
    north         float8
);
COMMENT ON TABLE network.graph IS 'What the graph was made of (路网状态)';
COMMENT ON COLUMN network.graph.valid_until IS 'First moment at which a road begins or ends, so that the graph is another';
COMMENT ON COLUMN network.graph.digest IS 'Of the table of speeds and the rules of noding';
COMMENT ON COLUMN network.graph.drive_fastest IS 'Highest speed of an edge, m/s';

CREATE TABLE network.edge (
    id         int PRIMARY KEY,
    road       bigint NOT NULL,
    source     int NOT NULL,
    target     int NOT NULL,
    length_m   float8 NOT NULL,
    drive      float8 NOT NULL,
    drive_back float8 NOT NULL,
    walk       float8 NOT NULL,
    walk_back  float8 NOT NULL,
    geom       geometry(LineString, 4490) NOT NULL,
    place      geometry(LineString, 3857) NOT NULL
);
CREATE INDEX edge_geom ON network.edge USING gist (geom);
CREATE INDEX edge_place ON network.edge USING gist (place);
COMMENT ON TABLE network.edge IS 'Stretches of road between nodes (路段)';
COMMENT ON COLUMN network.edge.road IS 'fid of the feature of base.road';
COMMENT ON COLUMN network.edge.drive IS 'Seconds from source to target by car, -1 where that is not allowed; drive_back the other way';
COMMENT ON COLUMN network.edge.place IS 'The same in a conformal projection, where the nearest edge is the nearest in metres';

CREATE TABLE network.node (
    id   int PRIMARY KEY,
    geom geometry(Point, 4490) NOT NULL
);
COMMENT ON TABLE network.node IS 'Where stretches of road meet or end (路网节点)';

-- The query of edges that pgRouting runs: those of a box that are open, and the pieces round points that lie on an edge.
CREATE FUNCTION network.edges_sql(
    profile text, west float8, south float8, east float8, north float8, shut int[],
    piece_source bigint[], piece_target bigint[], piece_cost float8[], piece_back float8[], backwards boolean
) RETURNS text IMMUTABLE LANGUAGE sql AS $$
SELECT format(
    'SELECT id::bigint, source::bigint, target::bigint, %1$I AS cost, %2$I AS reverse_cost FROM network.edge '
    'WHERE geom && ST_MakeEnvelope(%3$L::float8, %4$L::float8, %5$L::float8, %6$L::float8, 4490) AND id <> ALL (%7$L::int[]) '
    'UNION ALL SELECT 4000000000 + n, s, t, c, b FROM unnest(%8$L::bigint[], %9$L::bigint[], %10$L::float8[], %11$L::float8[]) '
    'WITH ORDINALITY AS p (s, t, c, b, n)',
    profile || CASE WHEN backwards THEN '_back' ELSE '' END, profile || CASE WHEN backwards THEN '' ELSE '_back' END, west, south, east, north, shut, piece_source, piece_target, piece_cost, piece_back)
$$;

CREATE FUNCTION network.costs(edges text, sources bigint[], targets bigint[])
RETURNS TABLE (source bigint, target bigint, seconds float8) STABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT c.start_vid, c.end_vid, c.agg_cost FROM pgr_dijkstraCost(edges, sources, targets, true) c;
END $$;

CREATE FUNCTION network.paths(edges text, sources bigint[], targets bigint[])
RETURNS TABLE (source bigint, target bigint, step int, node bigint, edge bigint, seconds float8)
STABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT c.start_vid, c.end_vid, c.path_seq, c.node, c.edge, c.agg_cost
                   FROM pgr_dijkstra(edges, sources, targets, true) c;
END $$;

CREATE FUNCTION network.reached(edges text, sources bigint[], seconds float8)
RETURNS TABLE (node bigint, after_s float8) STABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT c.node, min(c.agg_cost) FROM pgr_drivingDistance(edges, sources, seconds, true) c GROUP BY 1;
END $$;

-- New rows by the thousand are planned for at once.
CREATE FUNCTION network.measure() RETURNS void VOLATILE LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public AS $$
BEGIN
    ANALYZE network.edge;
    ANALYZE network.node;
END $$;

REVOKE ALL ON FUNCTION network.measure() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION network.measure() TO geocloud_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA network TO geocloud_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA network TO geocloud_writer;
