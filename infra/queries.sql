-- Questions over all runs, for Athena (database and workgroup are named after the stack, see query.yaml). Name days where
-- you can: only those are read.

-- The best runs of a project by accuracy
SELECT run, max(value) AS accuracy
FROM points
WHERE project = 'demo/lenet5' AND metric = 'accuracy' AND day >= '2026-01-01'
GROUP BY run
ORDER BY accuracy DESC
LIMIT 20;

-- How often runs of each project pass
SELECT project, count(*) AS runs, sum(CASE WHEN verdict = 'passed' THEN 1 ELSE 0 END) AS passed
FROM runs
WHERE day >= '2026-01-01'
GROUP BY project
ORDER BY project;

-- Where the loss was lost, and who asked for that run
SELECT points.run, runs.requested_by, min(points.epoch) AS epoch
FROM points JOIN runs ON points.run = runs.run
WHERE points.metric = 'loss' AND points.not_finite IS NOT NULL
GROUP BY points.run, runs.requested_by
ORDER BY points.run;
