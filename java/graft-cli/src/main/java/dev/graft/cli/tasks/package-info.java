/**
 * Small tasks that the embedded base model can be taught from a few examples: kinds of tasks, of each of which many can be
 * drawn by seed, for training and for test, and the score of a model on one.
 */
@NullMarked
package dev.graft.cli.tasks;

import org.jspecify.annotations.NullMarked;
