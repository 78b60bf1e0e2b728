package dev.graft.meta;

import dev.graft.common.InputException;

/** What counts as the meta-gradient of a task, θ' being the weights after K inner steps from θ. */
public enum MetaAlgorithm {
    /** {@code θ - θ'} (Nichol, Achiam and Schulman, "On first-order meta-learning algorithms", 2018). */
    REPTILE,
    /** {@code ∇L_query(θ')}: MAML with the inner steps' Jacobian taken for the identity (Finn et al., 2017, section 5.2). */
    FOMAML,
    /**
     * {@code (∂θ'/∂θ)ᵀ ∇L_query(θ')}, the true gradient of the loss after adaptation (Finn, Abbeel and Levine, "Model-agnostic
     * meta-learning for fast adaptation of deep networks", 2017).
     */
    MAML;

    /** Reads a flag's value. */
    public static MetaAlgorithm parse(String text) {
        return switch (text) {
            case "reptile" -> REPTILE;
            case "fomaml" -> FOMAML;
            case "maml" -> MAML;
            default -> throw new InputException("--algorithm " + text + ": use reptile, fomaml or maml");
        };
    }
}
