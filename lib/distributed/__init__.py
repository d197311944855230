"""Train one model by many processes: the images and the classes divided over the same devices.

`make distributed PROCESSES=4`, or `python -m lib.distributed 4`, starts so many processes on this
computer, waits for them, and says what came out. Each is one device of JAX's runtime, over which
Keras's distribution API divides the work: a mesh whose one axis carries both the images of a batch
and the columns of the class weights, as large systems do it. The backbone is copied and its
gradients are added up; class weights never travel.

Every `Task.every` steps each process writes what it holds to `FOLDER/checkpoints`. A run that finds
a checkpoint of the same task goes on from it.
"""

from .launcher import ProcessLost, Run, prepare, train
from .task import Task

__all__ = ["ProcessLost", "Run", "Task", "prepare", "train"]
