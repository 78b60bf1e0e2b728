package dev.graft.cli.run;

import dev.graft.lora.LoraConfig;
import dev.graft.train.TrainConfig;
import java.util.ArrayList;
import java.util.List;

/**
 * One setting of a sweep.
 *
 * @param lora the adapter
 * @param train how it is trained
 */
public record SweepPoint(LoraConfig lora, TrainConfig train) {
    /**
     * Every combination, ranks slowest. Lists that are empty leave what the base settings say; without alphas, alpha keeps the
     * base settings' proportion to the rank.
     */
    public static List<SweepPoint> grid(
            LoraConfig lora, TrainConfig train, List<Integer> ranks, List<Double> alphas, List<Double> learningRates) {
        List<SweepPoint> points = new ArrayList<>();
        for (int rank : ranks.isEmpty() ? List.of(lora.rank()) : ranks) {
            double proportional = lora.alpha() * rank / lora.rank();
            for (double alpha : alphas.isEmpty() ? List.of(proportional) : alphas) {
                for (double learningRate : learningRates.isEmpty() ? List.of(train.learningRate()) : learningRates) {
                    points.add(new SweepPoint(lora.withRank(rank, alpha), train.withLearningRate(learningRate)));
                }
            }
        }
        return points;
    }

    /** Such as {@code r8-alpha16-lr0.001}: a folder's name. */
    public String name() {
        return "r" + lora.rank() + "-alpha" + plain(lora.alpha()) + "-lr" + plain(train.learningRate());
    }

    private static String plain(double value) {
        String text = Double.toString(value);
        return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
    }
}
