package dev.graft.cli.compare;

import dev.graft.cli.run.Median;
import dev.graft.model.Generator;
import dev.graft.model.LanguageModel;
import dev.graft.model.Sampling;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * Times greedy generation of several models in turn, so that what else the machine does strikes all alike: round after round each
 * model continues the same prompt once, and ratios are taken within a round.
 */
final class TokenClock {
    private static final int WARM_UP_ROUNDS = 3;

    private final int[] prompt;
    private final int newTokens;
    private final int rounds;

    TokenClock(int[] prompt, int newTokens, int rounds) {
        this.prompt = prompt;
        this.newTokens = newTokens;
        this.rounds = rounds;
    }

    /**
     * A model's time.
     *
     * @param ms median over the rounds, a token
     * @param ratio median over the rounds of its time by the first model's
     */
    record Reading(double ms, double ratio) {}

    /** The times of {@code models}, in their order; the first is what the others are compared with. */
    List<Reading> measure(List<? extends LanguageModel> models) {
        double[][] times = new double[models.size()][rounds];
        List<Generator> generators = new ArrayList<>();
        try {
            for (LanguageModel model : models) {
                generators.add(new Generator(model, prompt.length + newTokens));
            }
            for (int round = -WARM_UP_ROUNDS; round < rounds; round++) {
                for (int i = 0; i < generators.size(); i++) {
                    // who comes first changes, as what runs after a pause is slower
                    int model = Math.floorMod(i + round, generators.size());
                    double ms = msPerToken(generators.get(model));
                    if (round >= 0) {
                        times[model][round] = ms;
                    }
                }
            }
        } finally {
            generators.forEach(Generator::close);
        }
        List<Reading> readings = new ArrayList<>();
        for (double[] own : times) {
            double[] ratios = new double[rounds];
            Arrays.setAll(ratios, round -> own[round] / times[0][round]);
            readings.add(new Reading(Median.of(own), Median.of(ratios)));
        }
        return readings;
    }

    private double msPerToken(Generator generator) {
        long[] first = new long[1];
        int[] count = new int[1];
        generator.generate(prompt, newTokens, Sampling.GREEDY, Set.of(), token -> {
            if (count[0]++ == 0) {
                first[0] = System.nanoTime(); // what came before was the prompt's time
            }
            return true;
        });
        return (System.nanoTime() - first[0]) / 1e6 / (newTokens - 1);
    }
}
