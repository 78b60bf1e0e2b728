package dev.graft.cli.options;

import dev.graft.meta.MetaConfig;
import org.jspecify.annotations.Nullable;

/**
 * What the flags of {@code meta-train} ask for.
 *
 * @param train the model, what is trained of it, precision and row lengths
 * @param meta how the initialisation is learned
 * @param heldOut tasks that are kept aside to measure adaptation on; null for one in five
 * @param plainSteps inner steps that the plain start is given at most to catch up
 */
public record MetaRequest(
        TrainRequest train, MetaConfig meta, @Nullable Integer heldOut, int plainSteps) {}
