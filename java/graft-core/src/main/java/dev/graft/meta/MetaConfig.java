package dev.graft.meta;

import dev.graft.common.InputException;
import dev.graft.train.LearningRateSchedule;

/**
 * How an initialisation is learned; the {@code meta-train} command's flags.
 *
 * @param algorithm what counts as a task's meta-gradient
 * @param inner how weights adapt to a task
 * @param outer how the initialisation moves
 * @param outerLearningRate of the first meta-step
 * @param outerClipNorm the mean meta-gradient is scaled down to this norm; 0 = off. Second-order terms can grow with every inner
 *     step that overshoots, and one such task would stay in Adam's moments for long
 * @param schedule of the outer learning rate
 * @param metaSteps updates of the initialisation
 * @param tasksPerStep tasks whose meta-gradients are averaged in a meta-step
 * @param episodes how a task's rows are split
 */
public record MetaConfig(
        MetaAlgorithm algorithm,
        InnerLoop inner,
        OuterRule outer,
        double outerLearningRate,
        double outerClipNorm,
        LearningRateSchedule schedule,
        int metaSteps,
        int tasksPerStep,
        Episodes episodes) {

    public MetaConfig {
        if (!(outerLearningRate >= 0 && outerLearningRate <= Double.MAX_VALUE)) {
            throw new InputException("--outer-lr " + outerLearningRate + ": must be at least 0");
        }
        if (!(outerClipNorm >= 0 && outerClipNorm <= Double.MAX_VALUE)) {
            throw new InputException("--outer-clip " + outerClipNorm + ": must be at least 0");
        }
        atLeastOne("--meta-steps", metaSteps);
        atLeastOne("--tasks-per-step", tasksPerStep);
    }

    private static void atLeastOne(String flag, int value) {
        if (value < 1) {
            throw new InputException(flag + " " + value + ": must be at least 1");
        }
    }
}
