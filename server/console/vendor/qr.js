// What draws QR codes, fetched only where one is shown.
export { encode } from "uqr";
