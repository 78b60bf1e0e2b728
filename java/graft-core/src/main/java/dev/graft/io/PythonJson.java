package dev.graft.io;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;
import java.util.Map;

/** Lays JSON out exactly as CPython's {@code json/encoder.py} with {@code indent=2, sort_keys=True} does. */
final class PythonJson {
    private final StringBuilder out = new StringBuilder();

    private PythonJson() {}

    static String pretty(JsonNode node) {
        PythonJson writer = new PythonJson();
        writer.value(node, 0);
        return writer.out.toString();
    }

    private void value(JsonNode node, int depth) {
        switch (node.getNodeType()) {
            case OBJECT -> object(node, depth);
            case ARRAY -> array(node, depth);
            case STRING -> Text.appendJson(out, node.textValue(), true);
            case NUMBER -> out.append(node.isIntegralNumber() ? node.asText() : repr(node.doubleValue()));
            case BOOLEAN, NULL -> out.append(node.asText());
            default -> throw new IllegalArgumentException("JSON has no form for a " + node.getNodeType() + " node");
        }
    }

    private void object(JsonNode node, int depth) {
        List<Map.Entry<String, JsonNode>> sorted = node.properties().stream()
                .sorted(Map.Entry.comparingByKey(Text.BY_CODE_POINT))
                .toList();
        if (sorted.isEmpty()) {
            out.append("{}");
            return;
        }
        char before = '{';
        for (Map.Entry<String, JsonNode> entry : sorted) {
            out.append(before);
            newLine(depth + 1);
            Text.appendJson(out, entry.getKey(), true);
            out.append(": ");
            value(entry.getValue(), depth + 1);
            before = ',';
        }
        newLine(depth);
        out.append('}');
    }

    private void array(JsonNode node, int depth) {
        if (node.isEmpty()) {
            out.append("[]");
            return;
        }
        char before = '[';
        for (JsonNode element : node) {
            out.append(before);
            newLine(depth + 1);
            value(element, depth + 1);
            before = ',';
        }
        newLine(depth);
        out.append(']');
    }

    private void newLine(int depth) {
        out.append('\n').repeat("  ", depth);
    }

    /**
     * Python's {@code repr} of a float: the shortest decimal that reads back as the same double, positional where the point
     * falls within digits -3 to 16 ({@code 0.0001}, {@code 9007199254740992.0}), otherwise scientific ({@code 1e-05},
     * {@code 1e+16}).
     */
    static String repr(double value) {
        if (Double.isNaN(value)) {
            return "NaN";
        }
        String sign = Double.doubleToRawLongBits(value) < 0 ? "-" : "";
        if (Double.isInfinite(value)) {
            return sign + "Infinity";
        }
        if (value == 0) {
            return sign + "0.0";
        }
        BigDecimal shortest = shortest(Math.abs(value));
        String digits = shortest.unscaledValue().toString();
        // |value| = 0.digits x 10^point
        int point = digits.length() - shortest.scale();
        if (point > -4 && point <= 16) {
            String plain = shortest.toPlainString();
            return sign + plain + (plain.indexOf('.') < 0 ? ".0" : "");
        }
        int exponent = point - 1;
        String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
        String power = (exponent < 0 ? "e-" : "e+") + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
        return sign + digits.charAt(0) + fraction + power;
    }

    /**
     * The shortest decimal that rounds to {@code value}, closest first. {@link Double#toString} gives it, except that it never
     * goes below two digits (4.9E-324 where 5E-324 reads back the same).
     */
    private static BigDecimal shortest(double value) {
        BigDecimal decimal = new BigDecimal(Double.toString(value)).stripTrailingZeros();
        if (decimal.precision() == 2) {
            BigDecimal oneDigit = new BigDecimal(value).round(new MathContext(1, RoundingMode.HALF_EVEN));
            if (oneDigit.doubleValue() == value) {
                return oneDigit.stripTrailingZeros();
            }
        }
        return decimal;
    }
}
