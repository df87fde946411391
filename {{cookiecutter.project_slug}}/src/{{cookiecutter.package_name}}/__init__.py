"""The map of the package, in the order the data takes.

source            where a day of upstream data comes from                                  YOURS
contract, spec    what upstream promised, and the words a contract is written in            contract: YOURS
data/             ingest a day, keep partitions, freeze a dataset
transform/        columns in, matrix out; travels with every model version                  features: YOURS
estimator         which scikit-learn estimator stands behind it                             YOURS
model/            a version: request model, answers, folder on disk, proof
training/         train, evaluate, register, promote
monitoring/       what a day looked like beside the days before it, and whether somebody has to act
serving/          the API, and how versions reach it
operations/       the daily run, its alerts, the demo, newer releases of the template
cli               `ml`: the verbs

Below all of them: config, typed_yaml, storage, pages, paths, programs, files, clock, log, errors. Imports point one
way, from the bottom of this list up.
"""
