package dev.graft.model;

import dev.graft.common.InputException;
import dev.graft.common.Philox;
import dev.graft.common.RandomPurpose;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * How the next token is chosen from the logits.
 *
 * @param temperature divides the logits; 0 takes the most likely token (greedy)
 * @param topK only the k most likely tokens; 0 for all
 * @param topP only the most likely tokens that together have at least this probability; 1 for all
 * @param seed of the random numbers: token i of a text depends on the seed, i and the logits alone
 */
public record Sampling(double temperature, int topK, double topP, long seed) {
    /** The most likely token, always. */
    public static final Sampling GREEDY = new Sampling(0, 0, 1, 0);

    public Sampling {
        if (!(temperature >= 0) || Double.isInfinite(temperature)) {
            throw new InputException("--temperature " + temperature + ": must be 0 (greedy) or more");
        }
        if (topK < 0) {
            throw new InputException("--top-k " + topK + ": must be 0 (all) or more");
        }
        if (!(topP > 0 && topP <= 1)) {
            throw new InputException("--top-p " + topP + ": must be above 0 and at most 1");
        }
    }

    /** The token chosen as number {@code position} of the text. */
    public int choose(float[] logits, int position) {
        if (temperature == 0) {
            return argmax(logits);
        }
        int[] candidates = IntStream.range(0, logits.length)
                .boxed()
                .sorted(Comparator.comparingDouble(id -> -logits[id]))
                .limit(topK == 0 ? logits.length : topK)
                .mapToInt(Integer::intValue)
                .toArray();
        double[] weights = Arrays.stream(candidates)
                .mapToDouble(id -> Math.exp((logits[id] - logits[candidates[0]]) / temperature))
                .toArray();
        int kept = nucleus(weights);
        double target = uniform(position) * Arrays.stream(weights, 0, kept).sum();
        for (int i = 0; i < kept - 1; i++) {
            target -= weights[i];
            if (target < 0) {
                return candidates[i];
            }
        }
        return candidates[kept - 1];
    }

    private static int argmax(float[] logits) {
        int best = 0;
        for (int id = 1; id < logits.length; id++) {
            if (logits[id] > logits[best]) {
                best = id;
            }
        }
        return best;
    }

    /** How many of the weights, largest first, it takes to hold {@code topP} of their sum. */
    private int nucleus(double[] weights) {
        double wanted = topP * Arrays.stream(weights).sum();
        double sum = 0;
        for (int i = 0; i < weights.length; i++) {
            sum += weights[i];
            if (sum >= wanted) {
                return i + 1;
            }
        }
        return weights.length;
    }

    private float uniform(int position) {
        int[] words = new int[4];
        new Philox(seed).words(position, 0, 0, RandomPurpose.SAMPLE.word(), words);
        return Philox.toUniform(words[0]);
    }
}
