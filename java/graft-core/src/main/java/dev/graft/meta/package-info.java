/**
 * Meta-learning: an initialisation, learned over many tasks, from which a few inner steps adapt to a new one. The algorithms are
 * maths on flat vectors ({@link dev.graft.meta.Objective}); a model enters through {@link dev.graft.meta.ModelObjectives}.
 */
@NullMarked
package dev.graft.meta;

import org.jspecify.annotations.NullMarked;
