package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;

/**
 * An exercise and what decides whether it is for support or held out.
 *
 * @param identity equal for exercises of which one would give the other away: those with the same answer where answers are many,
 *     else those about the same fact or list
 */
record Sample(String identity, Exercise exercise) {}
