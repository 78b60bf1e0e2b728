package dev.graft.meta;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.common.InputException;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The algorithms on losses whose meta-gradient is known. Vectors are float32: a gradient of norm 5 carries an error of about 3e-7,
 * a Hessian-vector product with ε = 1/512 one of 1e-4, which α shrinks and K steps add up.
 */
class MetaGradientTest {
    private static final int SIZE = 7;
    private static final Quadratic SUPPORT = Quadratic.random(SIZE, 0, 1);
    private static final Quadratic QUERY = Quadratic.random(SIZE, 0, 2);
    private static final double[] START = start();

    private static double[] start() {
        Random random = new Random(3);
        double[] theta = new double[SIZE];
        for (int i = 0; i < SIZE; i++) {
            theta[i] = (float) random.nextGaussian();
        }
        return theta;
    }

    private static InnerLoop sgd(int steps, double learningRate, double clipNorm) {
        return new InnerLoop(InnerRule.SGD, steps, learningRate, clipNorm);
    }

    private static double[] metaGradient(MetaAlgorithm algorithm, InnerLoop loop, Quadratic support, Quadratic query) {
        float[] sum = new float[SIZE];
        new MetaGradient(algorithm, loop, SIZE).addTo(sum, Quadratic.floats(START), support, query);
        return Quadratic.doubles(sum);
    }

    /** {@code (I - αH)ᴷ ∇L_query(θ')}, with {@code θ' = c + (I - αH)ᴷ (θ - c)}. */
    private static double[] closedForm(double[] start, int steps, double learningRate) {
        double[] away = new double[SIZE];
        for (int i = 0; i < SIZE; i++) {
            away[i] = start[i] - SUPPORT.c()[i];
        }
        away = contracted(away, steps, learningRate);
        double[] adapted = new double[SIZE];
        for (int i = 0; i < SIZE; i++) {
            adapted[i] = SUPPORT.c()[i] + away[i];
        }
        return contracted(QUERY.gradient(adapted), steps, learningRate);
    }

    private static double[] contracted(double[] v, int steps, double learningRate) {
        double[] result = v.clone();
        for (int k = 0; k < steps; k++) {
            double[] before = result.clone();
            for (int i = 0; i < SIZE; i++) {
                for (int j = 0; j < SIZE; j++) {
                    result[i] -= learningRate * SUPPORT.h()[i][j] * before[j];
                }
            }
        }
        return result;
    }

    @ParameterizedTest
    @CsvSource({"1, 0.1", "2, 0.1", "5, 0.2", "20, 0.05"})
    void secondOrderTermsOfAQuadratic(int steps, double learningRate) {
        double[] actual = metaGradient(MetaAlgorithm.MAML, sgd(steps, learningRate, 0), SUPPORT, QUERY);
        assertThat(actual).containsExactly(closedForm(START, steps, learningRate), within(1e-4));
    }

    @Test
    void firstOrderLeavesTheJacobianOut() {
        InnerLoop loop = sgd(4, 0.1, 0);
        double[] adapted = SUPPORT.adapted(START, loop);
        assertThat(metaGradient(MetaAlgorithm.FOMAML, loop, SUPPORT, QUERY))
                .containsExactly(QUERY.gradient(adapted), within(5e-6));
        double[] reptile = new double[SIZE];
        Arrays.setAll(reptile, i -> START[i] - adapted[i]);
        assertThat(metaGradient(MetaAlgorithm.REPTILE, loop, SUPPORT, QUERY)).containsExactly(reptile, within(2e-6));
    }

    @Test
    void firstAndSecondOrderMeetAsTheInnerStepsShrink() {
        assertThat(metaGradient(MetaAlgorithm.MAML, sgd(3, 0, 0), SUPPORT, QUERY))
                .containsExactly(metaGradient(MetaAlgorithm.FOMAML, sgd(3, 0, 0), SUPPORT, QUERY));
        double large = difference(1e-2);
        double small = difference(1e-3);
        assertThat(large).isPositive();
        assertThat(large / small).as("in proportion to α").isCloseTo(10, within(0.5));
    }

    private static double difference(double learningRate) {
        double[] second = metaGradient(MetaAlgorithm.MAML, sgd(3, learningRate, 0), SUPPORT, QUERY);
        double[] first = metaGradient(MetaAlgorithm.FOMAML, sgd(3, learningRate, 0), SUPPORT, QUERY);
        double sum = 0;
        for (int i = 0; i < SIZE; i++) {
            sum += Math.pow(second[i] - first[i], 2);
        }
        return Math.sqrt(sum);
    }

    /** Against differences of the whole loss after adaptation, in float64. */
    @ParameterizedTest
    @CsvSource({"0, 0.5", "0.3, 0", "0.3, 0.5", "0.3, 4"})
    void secondOrderTermsWithCurvatureThatChangesAndWithClipping(double quartic, double clipNorm) {
        Quadratic support = Quadratic.random(SIZE, quartic, 4);
        Quadratic query = Quadratic.random(SIZE, quartic, 5);
        InnerLoop loop = sgd(4, 0.05, clipNorm);
        double[] expected = new double[SIZE];
        for (int i = 0; i < SIZE; i++) {
            double[] up = START.clone();
            double[] down = START.clone();
            up[i] += 1e-5;
            down[i] -= 1e-5;
            expected[i] = (query.loss(support.adapted(up, loop)) - query.loss(support.adapted(down, loop))) / 2e-5;
        }
        double[] actual = metaGradient(MetaAlgorithm.MAML, loop, support, query);
        assertThat(actual).containsExactly(expected, within(2e-3));
        assertThat(metaGradient(MetaAlgorithm.FOMAML, loop, support, query))
                .usingComparatorWithPrecision(0.05)
                .isNotEqualTo(expected);
    }

    @Test
    void aStepAlongItsOwnClippedGradientHasNoSecondOrderTerm() {
        // one dimension: a clipped gradient is ±c wherever θ is, so θ' moves as θ does
        Quadratic line = new Quadratic(new double[][] {{3}}, new double[] {0}, 0);
        float[] sum = new float[1];
        new MetaGradient(MetaAlgorithm.MAML, sgd(2, 0.1, 0.5), 1).addTo(sum, new float[] {2}, line, line);
        assertThat(sum[0]).isCloseTo(3 * (2 - 2 * 0.1f * 0.5f), within(1e-5f));
    }

    @ParameterizedTest
    @EnumSource(MetaAlgorithm.class)
    void gradientsAddUpAndLossesAreThoseOfTheTask(MetaAlgorithm algorithm) {
        InnerLoop loop = sgd(3, 0.1, 0);
        MetaGradient gradient = new MetaGradient(algorithm, loop, SIZE);
        float[] once = new float[SIZE];
        MetaGradient.TaskLosses losses = gradient.addTo(once, Quadratic.floats(START), SUPPORT, QUERY);
        assertThat(losses.supportLoss()).isCloseTo(SUPPORT.loss(START), within(1e-5));
        assertThat(losses.queryLoss()).isCloseTo(QUERY.loss(SUPPORT.adapted(START, loop)), within(1e-5));
        float[] twice = once.clone();
        gradient.addTo(twice, Quadratic.floats(START), SUPPORT, QUERY);
        for (int i = 0; i < SIZE; i++) {
            assertThat(twice[i]).isEqualTo(2 * once[i]);
        }
    }

    @Test
    void adamStepsAreAsLongAsTheLearningRateWhateverTheGradient() {
        float[] sum = new float[SIZE];
        InnerLoop loop = new InnerLoop(InnerRule.ADAM, 1, 0.01, 0);
        MetaGradient gradient = new MetaGradient(MetaAlgorithm.REPTILE, loop, SIZE);
        gradient.addTo(sum, Quadratic.floats(START), SUPPORT, QUERY);
        double[] slope = SUPPORT.gradient(START);
        for (int i = 0; i < SIZE; i++) {
            assertThat(sum[i]).isCloseTo((float) (0.01 * Math.signum(slope[i])), within(1e-6f));
        }
        float[] again = new float[SIZE];
        gradient.addTo(again, Quadratic.floats(START), SUPPORT, QUERY);
        assertThat(again).as("moments start anew").isEqualTo(sum);
    }

    @ParameterizedTest
    @ValueSource(doubles = {-1, Double.NaN, Double.POSITIVE_INFINITY})
    void whatCannotBe(double number) {
        assertThatThrownBy(() -> sgd(1, number, 0))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--inner-lr");
        assertThatThrownBy(() -> sgd(1, 0, number))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--inner-clip");
        assertThatThrownBy(() -> sgd(0, 1, 0))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--inner-steps");
        assertThatThrownBy(() -> new MetaGradient(MetaAlgorithm.MAML, new InnerLoop(InnerRule.ADAM, 1, 0.1, 0), SIZE))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--inner sgd");
    }
}
